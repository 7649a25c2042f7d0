"""Thread 1 as a whole: stands by until this process leads, then watches the account by the config of the moment.

A new config takes over between two polls, in one piece: a new watch begins from the record, as after a restart, while
the API's client (its token, its budget) and the notifier (what it is sending) go on. When another replica leads, all of
it ends. Must not know how a leader is chosen, nor read a config.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from exporter.access import api_settings
from exporter.core.limits.rules import Coverage
from exporter.core.limits.runs import Limits
from exporter.maia.client import MaiaClient
from exporter.notifier.from_config import settings
from exporter.store.errors import NotLeading, StoreError
from exporter.watch import Watch, build_notifier, build_watch

if TYPE_CHECKING:
    from exporter.config.root import Config
    from exporter.leadership import Leadership, Tenure
    from exporter.limiting import Limiting
    from exporter.maia.settings import MaiaSettings as ApiSettings
    from exporter.watch import House

log = logging.getLogger(__name__)

TRY_AGAIN_SECONDS = 1.0
"""Between two tries to begin, while the store cannot be used."""

NO_LIMITS = (Limits(), Coverage())

LAST_SENDS_SECONDS = 2.0
"""How long messages that are being sent have to end, when this process leads no more."""


class Duty:
    """What this process does beside serving; `reload` and `stop` may be called from any thread."""

    def __init__(self, config: Config, house: House, leadership: Leadership) -> None:
        self.config = config
        self._house = house
        self._leadership = leadership
        self._stopping = threading.Event()
        self._relief = threading.Event()
        self._lead: Lead | None = None
        self._ending: list[Lead] = []  # that still send something
        self._problem = ""

    def prepare(self) -> None:
        """Where it is clear from the start that this process leads: show what the record holds. Raises StoreError."""
        tenure = self._leadership.tenure
        if tenure is not None:
            self._lead = Lead(self._house, tenure, self.config)
            self._lead.take_up(self.config, self._relief)

    def run(self) -> None:
        """Stand by and lead by turns, until the stop."""
        while (tenure := self._leadership.wait(self._stopping)) is not None:
            lead = self._lead if self._lead is not None and self._lead.tenure is tenure else None
            self._lead = lead = lead or Lead(self._house, tenure, self.config)
            self._work(lead)
            if not lead.end():
                self._ending.append(lead)
            self._ending = [each for each in self._ending if not each.ended]
            self._lead = None
            if not self._stopping.is_set():
                self._house.stands_by()

    def reload(self, config: Config) -> None:
        """Go on by another config, after the poll that is under way."""
        self.config = config
        self._relief.set()

    def stop(self) -> None:
        """End soon, also in the middle of a poll, which then has not happened."""
        self._stopping.set()
        if (tenure := self._leadership.tenure) is not None:
            tenure.stop()
        self._relief.set()

    @property
    def ended(self) -> bool:
        """Whether nothing is being sent any more; once `run` has returned."""
        return all(each.ended for each in self._ending)

    @property
    def delivers(self) -> bool:
        """Whether all that delivers lives, as far as there is something."""
        lead = self._lead
        return lead is None or lead.delivers

    @property
    def limits(self) -> tuple[Limits, Coverage]:
        """How limits stand, for whoever looks; as without any where nobody watches."""
        lead = self._lead
        return NO_LIMITS if lead is None or lead.limiting is None else lead.limiting.standing()

    def _work(self, lead: Lead) -> None:
        over = lead.tenure.over
        while not over.is_set():
            # First the bell, then the config: what rings in between is not missed.
            relief = self._relief
            if relief.is_set():
                relief = self._relief = threading.Event()
            if self._stopping.is_set():
                break
            try:
                lead.begin(self.config, relief)
            except StoreError as error:
                self._cannot_begin(error)
                self._house.clock.wait(TRY_AGAIN_SECONDS, over)
                continue
            self._problem = ""
            lead.run()

    def _cannot_begin(self, error: StoreError) -> None:
        """Say once why."""
        self._house.store_failed(error)
        if not isinstance(error, NotLeading) and str(error) != self._problem:
            self._problem = str(error)
            log.error("Nothing is polled or sent until the record can be taken up: %s", error)


class Lead:
    """One stretch of leading: one API client and one notifier; a watch for each config."""

    def __init__(self, house: House, tenure: Tenure, config: Config) -> None:
        self.tenure = tenure
        self._house = house
        self._config = config
        self._client: MaiaClient | None = None
        self._account: ApiSettings | None = None
        self._notifier = build_notifier(
            house, tenure.database, config=lambda: self._config, on_duty=lambda: tenure.is_ours
        )
        self._notifies = False
        self._watch: Watch | None = None
        self._relief: threading.Event | None = None

    def take_up(self, config: Config, relief: threading.Event) -> None:
        """Build the watch that `config` asks for, and show what the record holds. Raises StoreError."""
        watch = build_watch(
            config,
            self._house,
            self._client_for(config),
            relief=relief,
            database=self.tenure.database,
            notifier=self._notifier,
            on_duty=lambda: self.tenure.holds and not relief.is_set(),
        )
        if self._watch is not None and self._watch.alerting is not None and watch.alerting is not None:
            watch.alerting.outage = self._watch.alerting.outage
        watch.desk.take_up()
        if watch.limiting is not None:
            watch.limiting.explain(watch.desk.account.state)
        self._config, self._watch, self._relief = config, watch, relief
        if not self.tenure.over.is_set():
            self._house.leads()

    def begin(self, config: Config, relief: threading.Event) -> None:
        """Let all follow `config`. Raises StoreError; then nothing does."""
        if self._relief is not relief or self._config is not config:
            self.take_up(config, relief)
        if self._notifies:
            self._notifier.retarget(settings(config))
        else:
            self._notifier.start()
            self._notifies = True

    def run(self) -> None:
        """Poll, until somebody relieves the watch or the tenure is over."""
        if self._watch is None or self._relief is None:
            return
        self.tenure.bell = self._relief
        if not self.tenure.over.is_set():
            self._watch.poller.run()

    def end(self) -> bool:
        """Claim nothing more, and give what is being sent a while; whether all of it has ended."""
        if self._client is not None:
            self._client.close()
        return not self._notifies or self._notifier.stop(LAST_SENDS_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether nothing is being sent any more."""
        return not self._notifies or self._notifier.stop(0.0)

    @property
    def delivers(self) -> bool:
        """Whether all that delivers lives."""
        return not self._notifies or self._notifier.alive

    @property
    def limiting(self) -> Limiting | None:
        """The limits of the watch there is."""
        return None if self._watch is None else self._watch.limiting

    def _client_for(self, config: Config) -> MaiaClient:
        """The client as it is, where [maia] has not changed: with its token and its budget."""
        wanted = api_settings(config.maia)
        if self._client is None or self._account != wanted:
            if self._client is not None:
                self._client.close()
            over, oddities = self.tenure.over, self._house.oddities
            self._client = MaiaClient(wanted, clock=self._house.clock, stop=over, watcher=oddities)
            self._account = wanted
        return self._client
