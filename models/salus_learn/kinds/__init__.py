"""Which kind of the outcome: the risk of each kind beside the risk of any, with reasons that add up for each."""
