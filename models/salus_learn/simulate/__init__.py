"""The simulated hospital: patients, records and chest films drawn from a written causal graph, with the truth beside them."""
