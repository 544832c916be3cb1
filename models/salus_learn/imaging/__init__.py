"""The image judge: preparation, encoder, linear head, exact class activation."""
