"""The report's plots: two runs side by side in the same two colours everywhere, as SVG that a page holds inline."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from loadtests.summary import by_second, lag_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.samples import Run
    from loadtests.summary import Summary

COLOURS = ("#1d4ed8", "#ea580c")
"""Of the first run and of the second."""

_WIDE = (11.0, 3.0)
_GREY = "#64748b"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#cbd5e1",
    "axes.labelcolor": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "legend.frameon": False,
}
_MIB = 1 << 20
_THOUSAND_MS = 1_000
_LEAST_LAG_MS = 0.1  # below this a logarithmic axis would show noise as mountains


def p99_over_time(runs: Sequence[Run]) -> str:
    """Return the p99 of the small requests of each second."""

    def draw(axes: Any) -> None:
        for run, colour in zip(runs, COLOURS, strict=False):
            seconds = by_second(run)
            axes.plot(
                [second.at_s for second in seconds],
                [second.p99_ms if second.p99_ms is not None else float("nan") for second in seconds],
                color=colour, label=run.label, linewidth=1.8,
            )  # fmt: skip
        _milliseconds(axes)
        axes.set_xlabel("seconds into the run")

    return _svg(draw, name="p99")


def loop_lag_over_time(runs: Sequence[Run]) -> str:
    """Return the event loop's lag as the server told it."""

    def draw(axes: Any) -> None:
        for run, colour in zip(runs, COLOURS, strict=False):
            line = lag_line(run.readings, run.begun_s)
            axes.plot(
                [at_s for at_s, _ in line],
                [max(lag, _LEAST_LAG_MS) if lag is not None else float("nan") for _, lag in line],
                color=colour, label=run.label, linewidth=1.8,
            )  # fmt: skip
        _milliseconds(axes)
        axes.set_xlabel("seconds into the run")

    return _svg(draw, name="lag")


def requests_over_time(runs: Sequence[Run]) -> str:
    """Return the requests begun in each second, with the rate that was offered."""

    def draw(axes: Any) -> None:
        for run, colour in zip(runs, COLOURS, strict=False):
            seconds = by_second(run)
            axes.plot(
                [second.at_s for second in seconds],
                [second.request_count for second in seconds],
                color=colour, label=run.label, linewidth=1.8,
            )  # fmt: skip
        axes.axhline(runs[0].offered_per_s, color=_GREY, linestyle=":", linewidth=1.2, label="offered")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("requests/s")
        axes.set_xlabel("seconds into the run")

    return _svg(draw, name="requests")


def memory_over_time(runs: Sequence[Run]) -> str:
    """Return what the server's processes hold."""

    def draw(axes: Any) -> None:
        for run, colour in zip(runs, COLOURS, strict=False):
            axes.plot(
                [reading.at_s - run.begun_s for reading in run.readings],
                [reading.memory_bytes / _MIB for reading in run.readings],
                color=colour, label=run.label, linewidth=1.8,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_ylabel("MiB")
        axes.set_xlabel("seconds into the run")

    return _svg(draw, name="memory")


def latency_by_name(summaries: Sequence[Summary]) -> str:
    """Return for each kind of request a bar from p50 to p99, with a dot at each and at p95."""
    names = sorted({latency.name for summary in summaries for latency in summary.by_name}, reverse=True)

    def draw(axes: Any) -> None:
        for number, (summary, colour) in enumerate(zip(summaries, COLOURS, strict=False)):
            latencies = {latency.name: latency for latency in summary.by_name}
            offset = 0.16 - 0.32 * number
            for row, name in enumerate(names):
                latency = latencies.get(name)
                if (
                    latency is None
                    or latency.p50_ms is None
                    or latency.p95_ms is None
                    or latency.p99_ms is None
                ):
                    continue
                axes.plot(
                    [latency.p50_ms, latency.p99_ms], [row + offset] * 2,
                    color=colour, linewidth=5, alpha=0.35, solid_capstyle="round",
                )  # fmt: skip
                axes.plot(
                    [latency.p50_ms, latency.p95_ms, latency.p99_ms], [row + offset] * 3,
                    "o", color=colour, markersize=5,
                )  # fmt: skip
            axes.plot([], [], "o", color=colour, markersize=5, label=summary.label)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0, labelcolor="#0f172a")
        axes.grid(visible=False, axis="y")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(_time_text))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("p50, p95 and p99 of successful requests")

    return _svg(draw, name="names", size=(_WIDE[0], 1.2 + 0.55 * len(names)))


def _milliseconds(axes: Any) -> None:
    axes.set_yscale("log")
    lowest, highest = axes.get_ylim()
    axes.set_ylim(10 ** math.floor(math.log10(lowest)), 10 ** math.ceil(math.log10(highest)))
    axes.yaxis.set_major_formatter(FuncFormatter(_time_text))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _time_text(milliseconds: float, _: int) -> str:
    return f"{milliseconds:g} ms" if milliseconds < _THOUSAND_MS else f"{milliseconds / _THOUSAND_MS:g} s"


def _svg(draw: Callable[[Any], None], *, name: str, size: tuple[float, float] = _WIDE) -> str:
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        figure.legend(loc="outside upper left", ncols=3)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})  # type: ignore[no-untyped-call]  # matplotlib leaves it without types
    text = out.getvalue()
    return text[text.index("<svg") :]
