"""Carry the commands to the rooms and the results to the terminal; one thin module a subject."""
