"""Jobs that bring up to date what pages show: segments, what was learned, a large campaign's results."""

from __future__ import annotations

from collections.abc import Mapping

from pigeonry.service.job_work import Work


def refresh_segments(work: Work) -> Mapping[str, int]:
    from pigeonry.service.segments import refresh_segments

    report = refresh_segments(work.db, work.home, now=work.now(), progress=work.progress)
    return {
        "segments": len(report.segments),
        "moved": report.moved,
        "assigned": report.assigned,
        "embedded": report.embedded,
    }


def learn(work: Work) -> Mapping[str, int]:
    from pigeonry.service.learning import learn

    report = learn(work.db, work.home, now=work.now(), progress=work.progress)
    return {"outcomes": report.outcomes, "clicks": report.clicks, "updated": report.updated}


def keep_results(work: Work) -> Mapping[str, int]:
    from pigeonry.service.results_kept import keep_results

    campaign_id = int(work.job.payload["campaign_id"])
    found = keep_results(work.db, work.home, campaign_id, now=work.now())
    return {"sent": found.sends, "clicks": found.clicks}
