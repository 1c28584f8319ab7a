// Package toxrun holds what the whole module shares: what Docker is told about
// the plugin.
package toxrun

import _ "embed"

// PluginJSON is the answer to `docker-toxrun docker-cli-plugin-metadata`, one
// JSON object as github.com/docker/cli/cli-plugins/metadata describes it.
//
//go:embed plugin.json
var PluginJSON []byte
