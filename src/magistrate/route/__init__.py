"""Candidates + decision + health -> route, with a reason for every endpoint."""
