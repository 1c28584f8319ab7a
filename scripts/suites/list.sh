# shellcheck shell=bash
# list.sh is what suites.sh runs. It is read there.
#
#   install PACKAGE...            packages of Debian that the image has
#   files DIR SOURCE FILE...      files of a source package that are in /suites/DIR
#   suite NAME DIR COMMAND...     a suite: the command, in /suites/DIR
#
# What is left out of a suite is what its own two plain runs do not agree on, what needs
# a network or other files of the source, and what would take it over a minute.

install python3-pytest python3-coverage python3-pytest-cov python3-pytest-asyncio python3-pytest-subtests \
	python3-pytest-timeout python3-pytest-xprocess tzdata tzdata-legacy libpython3.13-testsuite
install python3-{jinja2,trio,yaml,click,idna,packaging,pretend,numpy,hypothesis,werkzeug,ephemeral-port-reserve} \
	python3-{watchdog,cryptography,cryptography-vectors,dateutil,freezegun,six,babel,tz,httpx,trustme,uvicorn,chardet} \
	python3-{h2,brotli,zstandard,rich,pygments,pil,defusedxml,olefile,requests,requests-mock,testtools,fixtures} \
	python3-{testscenarios,purl,attr,tornado,django,argon2,bcrypt,sqlparse,docutils,lxml,cssselect,bs4,html5lib} \
	python3-{simplejson,psutil,networkx,mpmath,passlib,jsonschema,zope.interface,greenlet,twisted,sqlalchemy} \
	python3-{urllib3,flask,aiohttp,mako,markupsafe,mock,setuptools}

# pytest NAME ARG... is a suite in the directory of that name.
pytest() { suite "$1" "$1" pytest -q -p no:cacheprovider "${@:2}"; }

files jinja2 jinja2 tests pyproject.toml
pytest jinja2 tests
files yaml pyyaml tests
pytest yaml tests/legacy_tests
files click python-click tests pyproject.toml
pytest click tests
files idna python-idna tests
pytest idna tests
files packaging python-packaging tests
pytest packaging tests
files numpy python-idna LICENSE.md
pytest numpy --pyargs numpy.lib.tests
