"""The durable record: what is known of runs and pipelines, and how far the account has been read.

`database` opens it and hands out transactions, `record` reads and writes rows on them, `schema` and `migrations` say
what the tables look like. SQLAlchemy Core on SQLite or PostgreSQL. Must not decide anything: what a step changed is
handed in whole and is written in one transaction.
"""
