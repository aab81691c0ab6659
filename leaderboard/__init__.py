"""Records, statistics of boards, the gate, citations and the site."""
