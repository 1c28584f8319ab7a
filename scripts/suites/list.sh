# shellcheck shell=bash
# list.sh is what suites.sh runs. It is read there, for a release whose Python is $python.
#
#   install PACKAGE...            packages of Debian that the image has
#   files DIR SOURCE FILE...      files of a source package that are in /suites/DIR
#   suite NAME DIR COMMAND...     a suite: the command, in /suites/DIR
#
# What is left out of a suite is what its own two plain runs do not agree on, what needs
# a network or other files of the source, and what would take it over a minute.

install python3-pytest python3-coverage python3-pytest-cov python3-pytest-asyncio python3-pytest-subtests \
	python3-pytest-timeout python3-pytest-xprocess tzdata tzdata-legacy "libpython$python-testsuite"
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
# This warning is there only when what is compiled is not in __pycache__ yet.
pytest yaml tests/legacy_tests -W ignore::pytest.PytestAssertRewriteWarning \
	-k 'constructor or emitter or errors or representer or resolver or structure'

files click python-click tests pyproject.toml
pytest click tests --deselect tests/test_utils.py::test_expand_args # expands docs/*

files idna python-idna tests
suite idna idna python3 -m pytest -q -p no:cacheprovider tests
suite idna-coverage idna python3-coverage run --data-file=/tmp/idna.coverage -m pytest -p no:cacheprovider tests
# What an interpreter has imported before a run is not seen by coverage in it.
suite idna-cov idna pytest -q -p no:cacheprovider --cov=idna --cov-report=term-missing tests

files packaging python-packaging tests
suite packaging packaging python3 -m pytest -q -p no:cacheprovider tests/test_requirements.py \
	tests/test_tags.py tests/test_metadata.py tests/test_utils.py

files markupsafe markupsafe tests setup.cfg
pytest markupsafe tests --cov=markupsafe --cov=tests --cov-report=term-missing

files werkzeug python-werkzeug tests pyproject.toml
# The others start servers.
pytest werkzeug tests --ignore tests/test_serving.py --ignore tests/live_apps

files dateutil python-dateutil tests setup.cfg
pytest dateutil -o filterwarnings= tests/test_parser.py tests/test_relativedelta.py tests/test_rrule.py \
	tests/test_easter.py tests/test_isoparser.py tests/test_utils.py tests/test_internals.py

files babel python-babel tests conftest.py setup.cfg
pytest babel tests/test_core.py tests/test_dates.py tests/test_lists.py tests/test_plural.py tests/test_localedata.py \
	tests/messages --ignore tests/messages/test_frontend.py -k 'not compatible_classes' # wants files of the source

files httpx httpx tests pyproject.toml
pytest httpx tests/models tests/client -k 'not socks and not proxy_close'

files rich rich tests pyproject.toml
pytest rich tests

files pygments pygments tests pyproject.toml
pytest pygments tests --ignore tests/snippets --ignore tests/examplefiles --ignore tests/contrast \
	--ignore tests/test_guess.py -k 'not ImageFormatter' # want files of the source

files cryptography python-cryptography tests
pytest cryptography tests/test_fernet.py tests/test_utils.py tests/x509/test_x509_ext.py tests/x509/test_name.py \
	tests/hazmat/primitives/test_serialization.py

files pillow pillow Tests conftest.py
pytest pillow -o addopts= Tests/test_file_png.py Tests/test_file_gif.py Tests/test_file_bmp.py Tests/test_imagedraw.py \
	Tests/test_image.py Tests/test_image_resample.py Tests/test_numpy.py

files requests-mock python-requests-mock tests
suite requests-mock requests-mock python3 -m testtools.run discover -s tests -t .

files django python-django tests
suite django django/tests python3 runtests.py --parallel 1 queries aggregation forms_tests

# One fails, as a user would not: root may read everything. So there is a traceback.
suite django-templates django/tests python3 runtests.py --parallel 1 template_tests template_backends i18n.tests

# What follows has its tests in the package itself, or here.
suite django-site site python3 manage.py test
suite django-admin site django-admin test --settings settings --pythonpath . -v 2 \
	notes.tests.ViewTest notes.tests.AdminTest
pytest sqlalchemy -p no:logging -k 'FetchLimit or Like or CTE or Insert or Date or Time or Numeric or JSON'
suite numpy site pytest -q -p no:cacheprovider --pyargs numpy.lib.tests.test_index_tricks \
	numpy.lib.tests.test_arraysetops numpy.lib.tests.test_twodim_base numpy.lib.tests.test_stride_tricks
suite simplejson site pytest -q -p no:cacheprovider --pyargs simplejson.tests
suite bs4 site pytest -q -p no:cacheprovider --pyargs bs4.tests
suite networkx site pytest -q -p no:cacheprovider --pyargs networkx.classes.tests networkx.readwrite.tests
suite passlib site pytest -q -p no:cacheprovider --pyargs passlib.tests.test_utils passlib.tests.test_context
suite tornado site python3 -m tornado.test.runtests tornado.test.template_test tornado.test.web_test tornado.test.gen_test
suite stdlib site python3 -m unittest -q test.test_json test.test_argparse test.test_textwrap test.test_dict
