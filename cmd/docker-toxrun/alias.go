package main

import (
	_ "embed"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The functions of each shell, with @PROGRAM@ where they call this one.
var (
	//go:embed alias/alias.bash
	aliasBash string
	//go:embed alias/alias.zsh
	aliasZsh string
	//go:embed alias/alias.fish
	aliasFish string
)

func newAlias(std stdio) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "alias bash|zsh|fish",
		Short: "Print functions for a shell: dtox, dsh, dx, with completion",
		Long: `Print functions for a shell to eval: dtox ARGS is docker-toxrun -- ARGS, dsh is
docker-toxrun shell, dx CMD is docker-toxrun exec CMD. They are completed with what
there is in the container, and so is docker-toxrun itself.`,
		Example: `  eval "$(docker-toxrun alias bash)"       # in ~/.bashrc
  eval "$(docker-toxrun alias zsh)"        # in ~/.zshrc, below compinit
  docker-toxrun alias fish | source        # in ~/.config/fish/config.fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usage("alias takes a shell: bash, zsh or fish", `eval "$(`+cmd.CommandPath()+` bash)"`)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := callable()
			if err != nil {
				return err
			}
			text, quoted := aliasBash, "'"+strings.ReplaceAll(program, "'", `'\''`)+"'"
			switch args[0] {
			case "zsh":
				text = aliasZsh
			case "fish":
				text, quoted = aliasFish, "'"+strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(program)+"'"
			}
			if program == programName {
				quoted = program
			}
			_, err = io.WriteString(std.out, strings.ReplaceAll(text, "@PROGRAM@", quoted))
			return err
		},
	}
}

// callable is what a shell calls this program by: its name, where the PATH leads to it, or
// else its path.
func callable() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if found, err := exec.LookPath(programName); err == nil && filepath.IsAbs(found) && sameFile(found, self) {
		return programName, nil
	}
	return self, nil
}

// sameFile tells whether two names are the same file's.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
