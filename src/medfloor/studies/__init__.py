"""Tell studies as programs: from survey files to the tables that such a paper prints."""

from medfloor.studies.shelf import STUDIES, about_study, run_study

__all__ = ["STUDIES", "about_study", "run_study"]
