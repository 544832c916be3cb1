"""The one gate for numbers and files that leave."""
