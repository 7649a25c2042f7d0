"""What we serve over HTTP: the scrape, the health endpoints, the status as JSON and as a page for people.

Reads what others publish and asks nobody anything: neither the API nor the store, however long they take.
"""
