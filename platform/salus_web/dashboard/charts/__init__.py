"""Charts as inline SVG, drawn on the server: no script, no outside request, printable. Pure: numbers in, markup out."""
