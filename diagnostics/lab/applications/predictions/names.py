"""Made-up players: the items of this pipeline."""


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    "adam aaron andre anton ben boris caleb carlos cole damon dario dwight eli emeka ethan felix frank gabe goran hugo ivan jalen "
    "jonas jordan kai keon kofi leon luca malik marco milos nico noah omar otto paul quincy rafa royce sami tariq theo ugo vasco "
    "wendell xavi yusuf zane"
)
LAST = _words(
    "abara adler barlow bekele brandt castell cole danso dekker duarte eaton ekberg farrow fontaine garza griffin halvorsen hart "
    "ibarra jensen joyner kane keller kovac lange lindqvist mabry marsh moreau nash novak oduya ortega parrish pell quist ramsay "
    "ross sabo stroud tanaka thorne underhill varga vance walsh weber yates young zeller"
)
PLAYERS = sorted(f"{first}{last}" for first in FIRST for last in LAST)
TEAMS = _words(
    "ATL BOS BRK CHI CLE DAL DEN DET HOU IND LAC LAL MEM MIA MIL MIN NOP NYK OKC ORL PHI PHX POR SAC SAS TOR UTA WAS"
)


def players(count: int) -> list[str]:
    """At least so many players to choose from: a namesake has a number."""
    return PLAYERS + [f"{name}{again}" for again in range(2, 1 + -(-count // len(PLAYERS))) for name in PLAYERS]


def game_of(player: str, date: str) -> tuple[str, str, str]:
    """Game id (YYYYMMDD_AWAY_HOME), away and home team of a player on a date."""
    away = sum(player.encode()) % len(TEAMS)
    home = (away + 1 + len(player)) % len(TEAMS)
    home = (home + 1) % len(TEAMS) if home == away else home
    return f"{date.replace('-', '')}_{TEAMS[away]}_{TEAMS[home]}", TEAMS[away], TEAMS[home]
