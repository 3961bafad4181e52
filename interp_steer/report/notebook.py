"""A report inside a notebook: headline, controls, map and examples as one piece of HTML."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp_steer.report.content import Report


def report_html(report: "Report") -> str:
    """Return a fragment that needs no script and takes its colors from the notebook."""
    from interp_steer.report.index import best_box
    from interp_steer.report.render import page_environment

    template = page_environment().get_template("notebook.html.j2")
    return template.render(report=report, best=best_box(report.summary))
