"""Views: each reads its input, calls one service or one page's gatherer, and renders."""
