"""What goes between us and the user's shell: command lines for people to copy, and files that they name."""
