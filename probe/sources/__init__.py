"""Where networks come from: libraries, factories, descriptions, files of weights."""
