"""What a patient allowed, how long data is kept, and how it is erased: rules, decisions by two people, and what must follow."""
