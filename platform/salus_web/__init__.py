"""The web platform: what is stored, who may see it, what people see."""
