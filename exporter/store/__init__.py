"""The durable record: what is known of runs and pipelines, and how far the account has been read.

SQLAlchemy Core on SQLite or PostgreSQL. Must not decide anything; what is written together is one transaction.
"""
