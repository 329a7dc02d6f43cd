// Package cli is the command andiron: its commands, output, configuration and exit codes.
//
// [Main] is the whole program as a function, so that tests run it inside their own binary.
//
// # A command
//
// Each command is a file with its name. It asks [app] for a connection, a lake or a folder,
// calls the package that does the work, and hands the result to app.emit, which draws it in
// the format that was asked for. Standard output holds data alone; whatever is said to people
// goes to standard error.
//
// # A failure
//
// A command returns an error and prints nothing about it. The renderer (problem.go) asks
// epic.Explain what to advise and exitCode (exitcode.go) for the code, which follows from
// the error's type and never from its text.
//
// # Configuration
//
// settings.go holds the table of all keys: each is a flag, an environment variable and a line
// of andiron.toml. The connection is decided first (connection.go), the keys after it.
package cli
