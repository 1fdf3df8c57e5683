"""What both command lines share: notes and progress on stderr, tables, errors in one line."""
