// Command conformance turns OPA's own conformance cases into what our engines can run: for each case its plan, its
// Wasm module, and what OPA says the answer is. It also answers cases of our own, with OPA as the judge.
//
//	conformance suite FOLDER     writes FOLDER/cases.ndjson and FOLDER/modules.bin
//	conformance judge FOLDER     the same for the cases of a JSON list on stdin, which have no wanted answer yet
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/test/cases/testdata"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
)

// written is one line of cases.ndjson. Values are texts of their own, so that no reader loses digits.
type written struct {
	Note                string   `json:"note"`
	File                string   `json:"file"`
	Query               string   `json:"query"`
	Modules             []string `json:"modules"`
	Input               *string  `json:"input,omitempty"`
	Data                string   `json:"data"`
	Want                *string  `json:"want,omitempty"`
	Exact               bool     `json:"exact"`
	WantError           string   `json:"want_error,omitempty"`
	WantErrorCode       string   `json:"want_error_code,omitempty"`
	SortBindings        bool     `json:"sort_bindings"`
	IgnoreGeneratedVars bool     `json:"ignore_generated_vars"`
	StrictError         bool     `json:"strict_error"`
	Plan                any      `json:"plan"`
	WasmStart           int      `json:"wasm_start"`
	WasmBytes           int      `json:"wasm_bytes"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: conformance suite|judge FOLDER")
	}
	registerSleep()
	rego.RegisterPlugin(plannerTarget, planTaker{})
	switch args[0] {
	case "suite":
		found, err := loadSuite()
		if err != nil {
			return err
		}
		return write(args[1], found, false)
	case "judge":
		var found []cases.TestCase
		if err := util.NewJSONDecoder(os.Stdin).Decode(&found); err != nil {
			return err
		}
		return write(args[1], found, true)
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}

// loadSuite reads the cases that OPA's module carries in itself.
func loadSuite() ([]cases.TestCase, error) {
	folder, err := os.MkdirTemp("", "opa-cases-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := os.CopyFS(folder, testdata.V1); err != nil {
		return nil, err
	}
	set, err := cases.Load(folder)
	if err != nil {
		return nil, err
	}
	for i := range set.Cases {
		if relative, err := filepath.Rel(folder, set.Cases[i].Filename); err == nil {
			set.Cases[i].Filename = filepath.ToSlash(relative)
		}
	}
	return set.Cases, nil
}

func write(folder string, found []cases.TestCase, judge bool) error {
	lines := make([]written, len(found))
	modules := make([][]byte, len(found))
	failures := make([]error, len(found))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				lines[i], modules[i], failures[i] = translate(found[i], judge)
			}
		}()
	}
	for i := range found {
		next <- i
		if done := i + 1; done%400 == 0 {
			fmt.Printf("%d of %d cases\n", done, len(found))
		}
	}
	close(next)
	workers.Wait()
	for i, err := range failures {
		if err != nil {
			failures[i] = fmt.Errorf("%s: %w", found[i].Note, err)
		}
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return save(folder, lines, modules)
}

func save(folder string, lines []written, modules [][]byte) error {
	binary, err := os.Create(filepath.Join(folder, "modules.bin"))
	if err != nil {
		return err
	}
	defer binary.Close()
	text, err := os.Create(filepath.Join(folder, "cases.ndjson"))
	if err != nil {
		return err
	}
	defer text.Close()
	out := bufio.NewWriter(text)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	position := 0
	for i, line := range lines {
		line.WasmStart, line.WasmBytes = position, len(modules[i])
		position += len(modules[i])
		if _, err := binary.Write(modules[i]); err != nil {
			return err
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

func translate(tc cases.TestCase, judge bool) (written, []byte, error) {
	line := written{
		Note: tc.Note, File: tc.Filename, Query: tc.Query, Modules: tc.Modules, Data: "{}", Exact: judge,
		SortBindings: tc.SortBindings, IgnoreGeneratedVars: tc.IgnoreGeneratedVars, StrictError: tc.StrictError,
	}
	input, err := inputOf(tc)
	if err != nil {
		return line, nil, err
	}
	if input != nil {
		text := termText(input.Value)
		line.Input = &text
	}
	if tc.Data != nil {
		data, err := ast.InterfaceToValue(*tc.Data)
		if err != nil {
			return line, nil, err
		}
		line.Data = termText(data)
	}
	if judge {
		if err := askOpa(tc, input, &line); err != nil {
			return line, nil, err
		}
	} else if err := copyWanted(tc, &line); err != nil {
		return line, nil, err
	}
	if line.Plan, err = planOf(tc); err != nil {
		return line, nil, err
	}
	module, err := rego.New(optionsOf(tc)...).Compile(context.Background())
	if err != nil {
		return line, nil, err
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(module.Bytes); err != nil {
		return line, nil, err
	}
	if err := zip.Close(); err != nil {
		return line, nil, err
	}
	return line, packed.Bytes(), nil
}

func inputOf(tc cases.TestCase) (*ast.Term, error) {
	if tc.InputTerm != nil {
		return ast.ParseTerm(*tc.InputTerm)
	}
	if tc.Input == nil {
		return nil, nil
	}
	value, err := ast.InterfaceToValue(*tc.Input)
	return ast.NewTerm(value), err
}

func copyWanted(tc cases.TestCase, line *written) error {
	if tc.WantError != nil {
		line.WantError = *tc.WantError
	}
	if tc.WantErrorCode != nil {
		line.WantErrorCode = *tc.WantErrorCode
	}
	if tc.WantResult == nil {
		return nil
	}
	bindings := make([]*ast.Term, len(*tc.WantResult))
	for i, binding := range *tc.WantResult {
		value, err := ast.InterfaceToValue(binding)
		if err != nil {
			return err
		}
		bindings[i] = ast.NewTerm(value)
	}
	text := termText(ast.NewArray(bindings...))
	line.Want = &text
	return nil
}

// askOpa has OPA evaluate the case, as its own runner of these cases does.
func askOpa(tc cases.TestCase, input *ast.Term, line *written) error {
	modules := map[string]string{}
	for i, module := range tc.Modules {
		modules[fmt.Sprintf("module-%d.rego", i)] = module
	}
	compiler, err := ast.CompileModules(modules)
	if err != nil {
		return err
	}
	body, err := ast.ParseBody(tc.Query)
	if err != nil {
		return err
	}
	query, err := compiler.QueryCompiler().Compile(body)
	if err != nil {
		return err
	}
	data := map[string]any{}
	if tc.Data != nil {
		data = *tc.Data
	}
	ctx := context.Background()
	store := inmem.NewFromObject(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return err
	}
	defer store.Abort(ctx, txn)
	results, err := topdown.NewQuery(query).
		WithCompiler(compiler).WithStore(store).WithTransaction(txn).WithInput(input).
		WithStrictBuiltinErrors(tc.StrictError).Run(ctx)
	if err != nil {
		var fault *topdown.Error
		if !errors.As(err, &fault) {
			return err
		}
		// What follows are the values and their places, in the words of OPA's evaluator.
		line.WantErrorCode = fault.Code
		line.WantError, _, _ = strings.Cut(fault.Message, ":\n")
		return nil
	}
	bindings := make([]*ast.Term, len(results))
	for i, result := range results {
		object := ast.NewObject()
		for name, value := range result {
			if name.IsGenerated() {
				continue
			}
			object.Insert(ast.StringTerm(string(name)), value)
		}
		bindings[i] = ast.NewTerm(object)
	}
	text := termText(ast.NewArray(bindings...))
	line.Want = &text
	return nil
}

func optionsOf(tc cases.TestCase) []func(*rego.Rego) {
	options := []func(*rego.Rego){rego.Query(tc.Query), rego.SetRegoVersion(ast.RegoV1)}
	if tc.ExperimentalKeywords {
		capabilities := ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true))
		options = append(options, rego.Capabilities(capabilities))
	}
	for i, module := range tc.Modules {
		options = append(options, rego.Module(fmt.Sprintf("module-%d.rego", i), module))
	}
	return options
}

func planOf(tc cases.TestCase) (*ir.Policy, error) {
	_, err := rego.New(append(optionsOf(tc), rego.Target(plannerTarget))...).PrepareForEval(context.Background())
	var taken *takenPlan
	if errors.As(err, &taken) {
		return taken.policy, nil
	}
	if err == nil {
		err = errors.New("the planner was not asked")
	}
	return nil, err
}

const plannerTarget = "take-the-plan"

// planTaker is an evaluation target that hands the plan out in place of preparing it, by way of an error.
type planTaker struct{}

type takenPlan struct{ policy *ir.Policy }

func (*takenPlan) Error() string { return "the plan was taken" }

func (planTaker) IsTarget(name string) bool { return name == plannerTarget }

func (planTaker) PrepareForEval(
	_ context.Context, policy *ir.Policy, _ ...rego.PrepareOption,
) (rego.TargetPluginEval, error) {
	return nil, &takenPlan{policy}
}

// registerSleep adds the one builtin that the cases bring along.
func registerSleep() {
	declaration := types.NewFunction(types.Args(types.S), types.NewNull())
	rego.RegisterBuiltin1(&rego.Function{Name: "test.sleep", Decl: declaration},
		func(_ rego.BuiltinContext, operand *ast.Term) (*ast.Term, error) {
			text, _ := operand.Value.(ast.String)
			pause, err := time.ParseDuration(string(text))
			time.Sleep(pause)
			return ast.NullTerm(), err
		})
}

// termText writes a value as JSON with Rego's sets and keys, everything in OPA's order.
func termText(value ast.Value) string {
	switch value := value.(type) {
	case ast.String:
		var quoted strings.Builder
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(string(value)); err != nil {
			panic(err)
		}
		return strings.TrimSpace(quoted.String())
	case *ast.Array:
		items := make([]string, 0, value.Len())
		value.Foreach(func(item *ast.Term) { items = append(items, termText(item.Value)) })
		return "[" + strings.Join(items, ",") + "]"
	case ast.Object:
		keys := value.Keys()
		slices.SortFunc(keys, func(a, b *ast.Term) int { return ast.Compare(a, b) })
		members := make([]string, 0, len(keys))
		for _, key := range keys {
			members = append(members, termText(key.Value)+":"+termText(value.Get(key).Value))
		}
		return "{" + strings.Join(members, ",") + "}"
	case ast.Set:
		if value.Len() == 0 {
			return "set()"
		}
		items := make([]string, 0, value.Len())
		for _, item := range value.Slice() {
			items = append(items, termText(item.Value))
		}
		slices.Sort(items)
		return "{" + strings.Join(items, ",") + "}"
	default:
		return value.String()
	}
}
