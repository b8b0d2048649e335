"""Properties that hold for every input, and for every history of an organisation."""
