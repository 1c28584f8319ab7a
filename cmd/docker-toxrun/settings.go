package main

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/config/configfile"

	"github.com/toxrun/docker-toxrun/compose"
)

// A settings has the defaults for all projects: "plugins": {"toxrun": {...}} in docker's
// config.json, with the keys of x-toxrun that a string can hold.
type settings struct {
	compose.Config
	warning string // of keys that there are not; or empty
}

func readSettings(file *configfile.ConfigFile) (settings, error) {
	var s settings
	var unknown []string
	given := file.Plugins[pluginName]
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		wanted := ""
		switch key {
		case "command":
			s.Command, wanted = words(value)
		case "preload":
			s.Preload, wanted = preload(value)
		case "standby":
			s.Standby, wanted = duration(value)
		case "stop_grace":
			s.StopGrace, wanted = duration(value)
		case "user":
			s.User = value
		case "shell":
			s.Shell = value
		case "workdir":
			if s.Workdir = value; value != "" && !path.IsAbs(value) {
				wanted = "an absolute path in the container"
			}
		case "hooks": // is docker's own, of any plugin
		default:
			unknown = append(unknown, key)
		}
		if wanted != "" {
			return s, usage(fmt.Sprintf("%s: plugins.%s.%s must be %s, not %q", file.Filename, pluginName, key, wanted, value), "")
		}
	}
	if len(unknown) > 0 {
		s.warning = fmt.Sprintf("%s: plugins.%s: there is no %s", file.Filename, pluginName, strings.Join(unknown, ", "))
	}
	return s, nil
}

// words are a value's, between spaces.
func words(value string) (list []string, wanted string) {
	if strings.ContainsAny(value, `"'\`) {
		return nil, "words with spaces between them and no quotes"
	}
	return strings.Fields(value), ""
}

// preload is that of x-toxrun in words: auto or none at all for nil, off for an empty list.
func preload(value string) (list []string, wanted string) {
	switch value {
	case "", "auto":
		return nil, ""
	case "off":
		return []string{}, ""
	}
	return words(value)
}

func duration(value string) (d time.Duration, wanted string) {
	if value == "" {
		return 0, ""
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, "a time such as 10m"
	}
	return d, ""
}

// under fills in what c leaves out.
func (s settings) under(c *compose.Config) {
	if len(c.Command) == 0 {
		c.Command = s.Command
	}
	if c.Preload == nil {
		c.Preload = s.Preload
	}
	c.User = cmp.Or(c.User, s.User)
	c.Shell = cmp.Or(c.Shell, s.Shell)
	c.Workdir = cmp.Or(c.Workdir, s.Workdir)
	c.Standby = cmp.Or(c.Standby, s.Standby)
	c.StopGrace = cmp.Or(c.StopGrace, s.StopGrace)
}
