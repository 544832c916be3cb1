"""How robust and how faithful a model is, on people it has not seen: parts missing, poor images, maps put to the test."""
