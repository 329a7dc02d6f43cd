package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) completionCmd() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", GroupID: "run",
		Short: "A script that completes commands in your shell",
		Long:  `Prints a completion script for bash, zsh, fish or powershell.`,
		Example: `  source <(andiron completion bash)
  andiron completion fish > ~/.config/fish/completions/andiron.fish`,
		Annotations: map[string]string{"settings": "none"},
		ValidArgs:   shells,
		Args:        a.arguments(1, 1, "one of: bash, zsh, fish, powershell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return usagef("there is no completion for %q%s; shells: bash, zsh, fish, powershell", args[0], didYouMean(args[0], shells))
		},
	}
}
