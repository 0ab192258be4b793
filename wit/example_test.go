package wit_test

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/wit"
)

func ExampleParseText() {
	r, err := wit.ParseText("greet.wit", `
package demo:greet@1.0.0;

interface greeter {
  record person { name: string, age: option<u8> }
  greet: func(who: person) -> string;
}

world app { export greeter; }
`, wit.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range r.Main.World("app").Exports {
		fmt.Println("exports", item.ExternName())
		for _, f := range item.Interface.Functions {
			fmt.Println("  function", f.Name, "returns", f.Result)
		}
	}
	// Output:
	// exports demo:greet/greeter@1.0.0
	//   function greet returns string
}

func ExampleError() {
	_, err := wit.ParseText("greet.wit", `package demo:greet;
interface greeter {
  greet: func(who: strng) -> string;
}
`, wit.Options{})
	fmt.Println(err)
	// Output:
	// greet.wit:3:20: type `strng` does not exist
	//   |
	// 3 |   greet: func(who: strng) -> string;
	//   |                    ^^^^^
	// hint: did you mean `string`?
}
