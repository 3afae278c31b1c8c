"""Know a small job for every command: what it needs before, and how it is called.

A job runs in a copy of a folder that a `Place` fills; a page's Python blocks and the examples are used where there are
some. `CASES` has every command of the program, by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTH = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m}"
"""The month of the office, eight hours before Greenwich."""


@dataclass(frozen=True)
class Place:
    """Be how a folder is filled: other places first, then Python blocks of pages, files, and commands in turn."""

    after: str = ""
    pages: tuple[tuple[str, int], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Be a small job: in a copy of a place, a command line without `medfloor`, and what it is when that is not plain.

    `serves` waits until a first page is answered, and then ends it; `refused` is done when it is refused (exit code 2).
    """

    place: str
    line: str
    note: str = ""
    serves: bool = False
    refused: bool = False


SETTLE_DEMO = "medfloor-demo/claims.csv --people medfloor-demo/people.csv --spells medfloor-demo/spells.csv"
LIVED = (
    "--people lived/people.parquet --households lived/waves.parquet --spells lived/spells.parquet "
    "--claims lived/claims.parquet --settlements settled.parquet"
)
SECRETS = {"MEDFLOOR_ADMIN_PASSWORD": "nine-ripe-peaches", "MEDFLOOR_USER_PASSWORD": "seven-green-pears"}
"""What is asked for by commands of the office."""

PLACES: dict[str, Place] = {
    "empty": Place(),
    "demo": Place(
        commands=("medfloor demo", f"medfloor settle {SETTLE_DEMO} --policy cn/beijing --out settled.csv"),
        files=(
            ("corrected.csv", "person_id,group,from_date,to_date\nP01,dibao,2024-01-01,\n"),
            (
                "year.csv",
                "claim_id,person_id,care_type,start_date,end_date,facility_level,total,first_self_pay,in_scope\n"
                "c1,p1,inpatient,2023-03-01,2023-03-10,3,81300.00,80000.00,1300.00\n",
            ),
            ("family.csv", "person_id,household_id\np1,h1\np2,h1\n"),
            ("households.csv", "household_id,size,income\nh1,2,120000\n"),
        ),
    ),
    "county": Place(commands=("medfloor synthesise --people 2000 --seed 1 --out county",)),
    "unsettled": Place(commands=("medfloor synthesise --people 2000 --seed 1 --unsettled --out county",)),
    "surveys": Place(
        files=(("survey.csv", "hh,med,total,urb\n1,-8,9000,1\n2,50,8000,0\n3,-2,7000,1\n"),),
        commands=(
            "medfloor survey example cfps --out cfps --seed 1 --scale 0.03 --waves 2012-2018",
            "medfloor survey example charls --out charls --seed 1 --scale 0.05",
        ),
    ),
    "examples": Place(
        commands=(
            "python examples/vietnam.py",
            "python examples/gov_transfers.py",
            "python examples/seed_003.py",
            "python examples/seed_004.py",
        )
    ),
    "resources": Place(pages=(("docs/measure-resources.md", 0),)),
    "by-tier": Place(pages=(("docs/measure-by-tier.md", 0),), commands=("medfloor demo",)),
    "panels": Place(commands=("python examples/evaluate/panel.py", "python examples/evaluate/staggered.py")),
    "binary": Place(pages=(("docs/evaluate-binary.md", 0),)),
    "mediate": Place(pages=(("docs/evaluate-mediate.md", 0),)),
    "match": Place(pages=(("docs/evaluate-match.md", 0),)),
    "discontinuity": Place(pages=(("docs/evaluate-discontinuity.md", 0),)),
    "adjustment": Place(commands=("medfloor fund adjust --years 2 --paths 20 --out adjustment",)),
    "supervise": Place(
        files=(
            (
                "claims.csv",
                "claim_id,person_id,care_type,start_date,end_date,facility_level,provider_id,diagnosis,total,in_scope\n"
                "c1,p1,inpatient,2024-05-01,2024-05-09,2,h1,J18,4200,4200\n"
                "c2,p1,inpatient,2024-05-09,2024-05-20,2,h1,J18,3900,3900\n",
            ),
        )
    ),
    "screen": Place(
        files=(
            ("people.csv", "person_id,household_id\np1,h1\np2,h2\n"),
            ("households.csv", "household_id,size,income,residence\nh1,2,60000,rural\nh2,3,90000,rural\n"),
            (
                "settled.csv",
                "claim_id,person_id,benefit_year,settled_date,own_in_scope,own_total\nc1,p1,2025,2025-05-20,23000,29000\n",
            ),
            (
                "cases.csv",
                "case_id,household_id,state,found_on,verified_on,recognised_on,measures\n"
                "c1,h1,found,2026-03-02,,,\nc2,h2,recognised,2026-03-02,2026-03-03,2026-03-10,0\n",
            ),
        ),
        pages=(("docs/watch-loop.md", 0),),
    ),
    "prevention": Place(pages=(("docs/watch-prevention.md", 0),)),
    "lived": Place(
        commands=(
            "medfloor synthesise --people 3000 --seed 1 --years 4 --lives --out lived",
            "medfloor settle lived/claims.parquet --people lived/people.parquet --spells lived/spells.parquet "
            "--policy cn/beijing --out settled.parquet",
            f"medfloor watch train {LIVED} --years 2025-2028 --capacity 8 --draws 20 --out model.json",
        )
    ),
    "new-office": Place(commands=("medfloor admin init --place 150981 --policy cn/beijing",)),
    "office": Place(
        after="new-office",
        files=(
            (
                "people.csv",
                "psn_no,姓名,身份证号,户口性质,户编号,行政区划\n"
                "p1,张三,990001195003120218,农村,h1,150981102001\np2,李四,990001197501010010,农村,h2,150981102001\n"
                "p3,王五,990001201503070032,城镇,h3,150981102001\n",
            ),
            (
                "households.csv",
                "户编号,行政区划,家庭人口,家庭年收入\nh1,150981102001,1,900\nh2,150981102001,1,900\n",
            ),
            (
                "claims.csv",
                "claim_id,person_id,provider_id,care_type,start_date,end_date,facility_level,total,in_scope\n"
                "c1,p1,H1,inpatient,2024-03-01,2024-03-10,3,30000,30000\n"
                "c2,p2,H1,inpatient,2024-03-02,2024-03-12,2,9000,9000\n"
                "c3,p9,H1,inpatient,2024-03-02,2024-03-12,2,9000,9000\n",
            ),
            (
                "more.csv",
                "claim_id,person_id,provider_id,care_type,start_date,end_date,facility_level,total,in_scope\n"
                "c4,p1,H1,outpatient,2024-04-20,2024-04-20,2,500,500\n",
            ),
            ("theirs.csv", "mdtrt_id,medfee_sumamt,fund_pay_sumamt,psn_part_amt\nc1,30000.00,21525.00,8475.00\n"),
            ("dibao.csv", "person_id,group,from_date\np1,dibao,2024-03-01\n"),
            ("number.txt", "990001195003120218\n"),
        ),
        commands=(
            "medfloor register import people.csv --kind people --source office --as-of 2024-01-01",
            "medfloor register import households.csv --kind households --source office --as-of 2024-01-01",
            "medfloor ledger settle claims.csv",
            "medfloor register import dibao.csv --kind spells --source civil_affairs",
            "medfloor watch screen --office --out today",
            "medfloor watch cases find h1 --source application --reason bills",
            "medfloor watch cases list | grep -o 'k[0-9a-f]\\{16\\}' | head -n 1 > case.id",
            "medfloor watch exchange send --department rural_revitalisation --out sent",
            f"medfloor ledger statement {MONTH} --draw --early",
            "medfloor admin user add clerk1 --role county_clerk --place 150981 --no-password",
            "medfloor admin backup monday.backup",
        ),
    ),
}

_V = "vietnam.csv --map examples/vietnam.toml"
_P = "panel.csv --outcome oop --treatment covered --unit household_id --time wave --cluster city"
_S = "staggered.csv --outcome ln_income --start start_wave --unit household_id --time wave --cluster city"

CASES: dict[str, Case] = {
    "demo": Case("empty", "demo"),
    "settle": Case("demo", f"settle {SETTLE_DEMO} --policy cn/beijing --out out.csv", "13 claims"),
    "explain": Case(
        "demo",
        "explain C02 --claims medfloor-demo/claims.csv --people medfloor-demo/people.csv "
        "--spells medfloor-demo/spells.csv --policy cn/beijing",
    ),
    "resettle": Case(
        "demo",
        "resettle medfloor-demo/claims.csv --people medfloor-demo/people.csv --spells-before medfloor-demo/spells.csv "
        "--spells-after corrected.csv --policy cn/beijing --out owed.csv",
    ),
    "apply": Case(
        "demo",
        "apply year.csv --people family.csv --households households.csv --policy cn/beijing --year 2023 --out a.csv",
    ),
    "policy check": Case("empty", "policy check cn/beijing@2024-01-01"),
    "policy cliffs": Case("empty", "policy cliffs cn/neimenggu/ulanqab"),
    "policy diff": Case("empty", "policy diff cn/beijing@2019-01-01 cn/beijing@2023-01-01"),
    "policy list": Case("empty", "policy list"),
    "policy schema": Case("empty", "policy schema"),
    "policy show": Case("empty", "policy show cn/beijing@2024-01-01"),
    "survey cfps": Case("surveys", "survey cfps cfps --out panel --waves 2012-2018", "3 % of CFPS, four waves"),
    "survey charls": Case("surveys", "survey charls charls/H_CHARLS_D_Data.dta --out panel", "5 % of CHARLS"),
    "survey map": Case(
        "surveys",
        "survey map survey.csv --map household_id=hh,oop=med,consumption=total --missing=-1,-2,-8 --zero oop=-8 "
        "--out mapped --form csv",
    ),
    "survey example": Case("empty", "survey example charls --out made --seed 1 --scale 0.05", "5 % of CHARLS"),
    "synthesise": Case("empty", "synthesise --people 1000 --seed 1 --out county", "1,000 people, settled"),
    "measure catastrophic": Case("examples", f"measure catastrophic {_V} --definition who"),
    "measure impoverishing": Case("examples", f"measure impoverishing {_V} --line 1883.5459"),
    "measure poverty": Case("examples", f"measure poverty {_V} --line median:0.6 --by residence"),
    "measure concentration": Case("examples", f"measure concentration {_V} --of oop --rank consumption"),
    "measure progressivity": Case("examples", f"measure progressivity {_V} --bands 100 --unit person"),
    "measure incidence": Case("examples", f"measure incidence {_V} --benefit oop"),
    "measure burden": Case("examples", "measure burden seed_003.csv --reference income --show cross"),
    "measure reimbursement": Case("examples", "measure reimbursement seed_004.csv --part ratios"),
    "measure cliff": Case(
        "examples",
        "measure cliff gov_transfers.csv --of Support --running Income_Centered --cutoff 0 --bandwidth 0.01 "
        "--kernel triangular",
    ),
    "measure resources": Case("resources", "measure resources counties.csv --norm 2.59 --area km2 --by residence"),
    "measure consistency": Case("empty", "measure consistency --percent 12.55 --of 417"),
    "measure by-tier": Case(
        "by-tier",
        "measure by-tier households.csv --settlements medfloor-demo/settlements.csv "
        "--people medfloor-demo/people.csv --of impoverishing --line cn-2010@2020",
    ),
    "measure survey": Case("examples", f"measure survey {_V} --estimate quantile --value oop --by residence"),
    "evaluate panel": Case("panels", "evaluate panel panel.csv --unit household_id --time wave --treatment covered"),
    "evaluate rollout": Case(
        "panels",
        "evaluate rollout panel.csv --rollout examples/evaluate/rollout.csv --place county --time wave --out e.csv",
    ),
    "evaluate fixed-effects": Case("panels", f"evaluate fixed-effects {_P}"),
    "evaluate instrument": Case(
        "panels",
        "evaluate instrument panel.csv --outcome oop --treatment enrolled --instruments covered --unit household_id "
        "--time wave --cluster county",
    ),
    "evaluate binary": Case(
        "binary",
        "evaluate binary panel.csv --outcome ill --treatment covered --covariates age --unit home --time wave "
        "--cluster city --model conditional-logit",
    ),
    "evaluate quantile": Case(
        "binary",
        "evaluate quantile panel.csv --outcome oop --treatment covered --covariates age --time wave --cluster city "
        "--quantiles 0.5,0.9",
    ),
    "evaluate event-study": Case("panels", f"evaluate event-study {_S} --estimator sun_abraham"),
    "evaluate staggered": Case("panels", f"evaluate staggered {_S}", "every estimator"),
    "evaluate bacon": Case("panels", f"evaluate bacon {_S}"),
    "evaluate match": Case(
        "match", "evaluate match people.csv --outcome oop --treatment insured --covariates age,ill,i.sex"
    ),
    "evaluate mediate": Case(
        "mediate",
        "evaluate mediate panel.csv --outcome poor --treatment covered --mediator ill --unit home --time wave "
        "--cluster city",
    ),
    "evaluate discontinuity": Case(
        "discontinuity",
        "evaluate discontinuity people.csv --outcome share --running income --cutoff 6000 --treatment dibao",
    ),
    "evaluate placebo": Case("panels", f"evaluate placebo {_S} --permutations 1000 --seed 1", "1,000 permutations"),
    "evaluate groups": Case("panels", f"evaluate groups {_P} --by sex"),
    "evaluate fixed-line": Case(
        "panels",
        "evaluate fixed-line staggered.csv --income income --start start_wave --unit household_id --time wave "
        "--cluster city",
    ),
    "study describe": Case("empty", "study describe cii-poverty"),
    "study list": Case("empty", "study list"),
    "study run": Case("county", "study run county-ledger --data county --out ledger", "2,000 people"),
    "simulate": Case(
        "county",
        "simulate --population county --baseline cn/beijing@2024-01-01 --reform examples/reforms/oop_cap.yaml "
        "--no-cliffs --out result",
        "2,000 people, one reform",
    ),
    "optimise": Case(
        "unsettled",
        "optimise --population county --baseline county/policy.yaml --vary examples/optimise/resident.toml "
        "--budget same --minimise headcount --evaluations 20 --out best",
        "2,000 people, 20 packages",
    ),
    "household": Case(
        "empty",
        "household --policy cn/beijing@2024-01-01 --reform examples/reforms/oop_cap.yaml --in-scope 1 --points 6",
    ),
    "fund project": Case("empty", "fund project --years 10", "10 years, 10,000 paths, eight levers"),
    "fund pool": Case("empty", "fund pool --draws 2000", "2,000 draws"),
    "fund tiers": Case("empty", "fund tiers"),
    "fund adjust": Case("empty", "fund adjust --years 2 --paths 20 --out adjustment"),
    "fund price": Case("empty", "fund price", "2,000 draws"),
    "fund supervise": Case("supervise", "fund supervise claims.csv --out leads.csv"),
    "watch screen": Case(
        "screen",
        "watch screen --people people.csv --households households.csv --settlements settled.csv --out may",
    ),
    "watch cases list": Case("office", "watch cases list"),
    "watch cases show": Case("office", "watch cases show $(cat case.id)"),
    "watch cases find": Case("office", "watch cases find h3 --source application --reason bills"),
    "watch cases add": Case("office", "watch cases add $(cat case.id) verified --income 900 --line 7300 --labour"),
    "watch cases check": Case("screen", "watch cases check cases.csv --on 2026-05-06"),
    "watch cases notice": Case(
        "office",
        "watch cases notice $(cat case.id) --householder p1 --village y --contact z",
        "refused, the case is not public yet",
        refused=True,
    ),
    "watch visits": Case("screen", "watch visits alerts.csv --capacity 2 --out plan.csv"),
    "watch train": Case(
        "lived",
        f"watch train {LIVED} --years 2025-2028 --capacity 8 --draws 20 --out new.json",
        "3,000 people, 4 years",
    ),
    "watch score": Case("lived", f"watch score model.json {LIVED} --year 2028 --out scores.csv"),
    "watch card": Case("lived", "watch card model.json --out card.html"),
    "watch drift": Case("lived", f"watch drift model.json {LIVED} --year 2028 --out drift.html"),
    "watch prevention": Case(
        "prevention", "watch prevention --people people.csv --claims claims.csv --contacts visits.csv"
    ),
    "watch exchange list": Case("office", "watch exchange list"),
    "watch exchange receive": Case("office", "watch exchange receive sent/list_1.csv --as-of 2026-06-01"),
    "watch exchange send": Case("office", "watch exchange send --department rural_revitalisation --out again"),
    "watch exchange show": Case("office", "watch exchange show 1"),
    "watch simulate": Case(
        "empty", "watch simulate --people 1000 --years 1 --seeds 1 --arms rule --out s", "1,000 people, one year"
    ),
    "report county": Case(
        "county", "report county county --name X --date 2026-03-01 --no-cliffs --out c.pdf", "2,000 people"
    ),
    "report policy": Case(
        "county",
        "report policy --population county --baseline county/policy.yaml --reform examples/reforms/oop_cap.yaml "
        "--no-cliffs --date 2026-03-01 --out brief.pdf",
        "2,000 people",
    ),
    "report study": Case(
        "county",
        "report study county-ledger --data county --set people=all --date 2026-03-01 --out study.pdf",
        "2,000 people",
    ),
    "report household": Case(
        "demo",
        "report household C02 --claims medfloor-demo/claims.csv --people medfloor-demo/people.csv --spells "
        "medfloor-demo/spells.csv --policy cn/beijing --name X --date 2026-03-01 --lang zh --out letter.pdf",
    ),
    "register import": Case("office", "register import people.csv --kind people --source office --as-of 2024-02-01"),
    "register show": Case("office", "register show p1 --day 2024-02-01"),
    "register find": Case("office", "register find < number.txt"),
    "register differences": Case("office", "register differences 1"),
    "register rejects": Case("office", "register rejects 1"),
    "register list": Case("office", "register list insured-poor --day 2024-06-30 --out insured.csv"),
    "ledger settle": Case("office", "ledger settle more.csv"),
    "ledger year": Case("office", "ledger year p1 2024"),
    "ledger arrears": Case("office", "ledger arrears"),
    "ledger resettle": Case("office", "ledger resettle --all"),
    "ledger statement": Case("office", "ledger statement --pending"),
    "ledger reconcile": Case("office", f"ledger reconcile theirs.csv --provider H1 --month {MONTH}"),
    "ledger seal": Case("office", "ledger seal"),
    "ledger verify": Case("office", "ledger verify --recompute"),
    "admin init": Case("empty", "admin init --place 150981 --policy cn/beijing"),
    "admin backup": Case("office", "admin backup tuesday.backup"),
    "admin restore": Case("office", "admin restore monday.backup --check"),
    "admin user add": Case("office", "admin user add o1 --role assistance_officer --place 150981102 --no-password"),
    "admin user list": Case("office", "admin user list"),
    "admin user disable": Case("office", "admin user disable clerk1"),
    "admin user enable": Case("office", "admin user enable clerk1"),
    "admin user role": Case("office", "admin user role clerk1 --role assistance_officer"),
    "admin user password": Case("office", "admin user password clerk1"),
    "admin keys check": Case("office", "admin keys check"),
    "admin keys new": Case("office", "admin keys new other.keys"),
    "admin keys rotate": Case("office", "admin keys rotate"),
    "admin settings": Case("office", "admin settings reversal_limit_fen=300000"),
    "admin retention": Case("office", "admin retention"),
    "admin export": Case("office", "admin export for-study --purpose study"),
    "serve": Case("office", "serve --port 0", "until it answers", serves=True),
}
