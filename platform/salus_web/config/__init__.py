"""Settings, urls and servers: wires everything, nobody imports it."""
