"""People, roles, sites, and the one function that decides who may do what."""
