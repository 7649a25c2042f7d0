"""The commands of Maia's guide *Executing and managing a pipeline*: its six steps, for a person and for a script.

They need the account alone: neither a store nor a running service, and never `[[targets]]` or `[[limits]]`.
"""
