"""What both reviews share: the app and its terminal, dialogs, pictures, colours."""
