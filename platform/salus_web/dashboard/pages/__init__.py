"""What each page shows, gathered from the apps' selectors into one object. Reads only; renders nothing."""
