"""Example pipelines that work on real data; put yours beside them."""
