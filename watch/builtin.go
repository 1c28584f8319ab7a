package watch

// builtin is what is ignored in every tree, in the syntax of .gitignore. A negated
// pattern of the user's, or of a .gitignore file, brings any of it back.
const builtin = `
# version control
.git
.hg
.svn
.bzr
.jj
.pijul
_darcs
CVS/

# editors: swap, backup and lock files, and what they keep of a project
*~
4913
.*.sw?
.*.un~
.#*
\#*#
.~lock.*#
*___jb_tmp___
*___jb_old___
.*.kate-swp
.goutputstream-*
.idea/
.vscode/

# systems: removed files that are still open, views of a folder
.nfs*
.fuse_hidden*
.DS_Store
._*
Thumbs.db

# what test runs, builds and checks of Python write
.tox/
.nox/
__pycache__/
*.py[cod]
*$py.class
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.benchmarks/
.testmondata*
.ipynb_checkpoints/
.pyre/
.pytype/
.coverage
.coverage.*
htmlcov/
coverage.xml
coverage.json
coverage.lcov
junit*.xml
nosetests.xml
pytestdebug.log
build/
dist/
*.egg-info/
*.egg
.eggs/
pip-wheel-metadata/
.venv/
venv/

# ... and of others
node_modules/
.nyc_output/
.gradle/
.terraform/
`
