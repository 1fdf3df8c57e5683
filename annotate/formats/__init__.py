"""Other programs' files of labelled regions."""
