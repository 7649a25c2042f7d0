"""Run limits at work: `acting` asks runs to stop, `meaning` reads the config, `replaying` looks back over the record.

What is decided, and why, is in `exporter.core.limits`; what is kept, in `exporter.store.cancellations`.
"""

from exporter.canceller.acting import Canceller, LimitJournal
from exporter.canceller.meaning import policy_of, rules_of

__all__ = ["Canceller", "LimitJournal", "policy_of", "rules_of"]
