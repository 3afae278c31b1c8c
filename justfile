# `just` comes with the dev lock: .venv/bin/just. Every recipe uses the .venv of this folder.

bin := ".venv/bin"

# List the recipes
default:
    @{{ just_executable() }} --list --unsorted

# Make or refresh .venv from the lock, with medfloor installed for editing
setup:
    python3 -m venv .venv
    {{ bin }}/pip install --quiet --require-hashes -r requirements/dev.txt
    {{ bin }}/pip install --quiet --no-deps --no-build-isolation -e .

# Do what CI does
check:
    .ci/run

# Run the tests; arguments go to pytest: `just test tests/law -x`
test *args:
    {{ bin }}/python -m pytest {{ args }}

# Run the tests that take minutes or gigabytes
heavy *args:
    {{ bin }}/python -m pytest -n 0 -m heavy {{ args }}

# Ruff, types and floors
lint:
    {{ bin }}/ruff check
    {{ bin }}/ruff format --check
    {{ bin }}/mypy
    {{ bin }}/lint-imports

# Put the code into the house format and mend what ruff can mend
format:
    {{ bin }}/ruff check --fix
    {{ bin }}/ruff format

# Measure; what the numbers mean is in docs/performance.md
bench *args:
    {{ bin }}/python -m benchmarks {{ args }}

# Load the office over HTTP, and reconcile 100,000 settlements to the fen; less: `just load --seconds 5 --settlements 2000`
load *args:
    {{ bin }}/python benchmarks/office.py {{ args }}

# Screen a million made-up people for households at risk: in memory, and from files to files
watch:
    {{ bin }}/python benchmarks/watch.py

# Compare with other programs on the same jobs, in one run (minutes); what is known is kept: `just peers --show`, `just peers --resume`
peers *args:
    {{ bin }}/python benchmarks/peers.py {{ args }}

# Make interpreters of their own for the programs that do not go with ours (AGPL; docs/licences.md)
peers-setup:
    for package in policyengine-core gettsim; do {{ bin }}/python -m venv .venv-peers/$package && .venv-peers/$package/bin/pip install --quiet --require-hashes -r requirements/$package.txt || exit 1; done

# Renew the locks of those programs
peers-lock *args:
    {{ bin }}/pip install --quiet uv
    for package in "policyengine-core>=3.33" "gettsim>=1.3"; do echo "$package" | {{ bin }}/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "just peers-lock" {{ args }} - -o "requirements/${package%%>*}.txt" > /dev/null || exit 1; done

# Run the main job: Beijing's rules on the shipped sample
demo:
    {{ bin }}/medfloor demo

# Look at every page of a made-up office: pictures in both languages, narrow and wide, into a folder outside of here
screens *args:
    {{ bin }}/python tests/pages/screens.py {{ args }}

# Time every page with 50,000 people and 500,000 claims in the store (minutes)
pages *args:
    {{ bin }}/python benchmarks/pages.py {{ args }}

# Renew the locks (no addresses, hashes for every platform; docs/decisions/0007)
lock *args:
    {{ bin }}/pip install --quiet uv
    {{ bin }}/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "just lock" {{ args }} pyproject.toml -o requirements/core.txt > /dev/null
    {{ bin }}/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "just lock" {{ args }} pyproject.toml --extra dev --constraint requirements/core.txt -o requirements/dev.txt > /dev/null
    # The cluster's engine in a lock of its own: half a gigabyte that neither users nor most developers need.
    {{ bin }}/python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark']))" | {{ bin }}/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "just lock" {{ args }} - -o requirements/spark.txt > /dev/null

# Try the lower bounds of pyproject.toml in a venv of its own
lowest:
    {{ bin }}/pip install --quiet uv
    {{ bin }}/uv venv --quiet --clear .venv-lowest
    {{ bin }}/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
    .venv-lowest/bin/python -m pytest
