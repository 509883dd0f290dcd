// Dies in C, in the way that its argument names.
package main

/*
#include <stdlib.h>
static int deref(int *p) { return *p; }
static void die(void) { abort(); }
extern void called(void);
static void back(void) { called(); }
*/
import "C"
import "os"

//export called
func called() { panic("called from C") }

func main() {
	switch os.Args[1] {
	case "deref":
		C.deref(nil)
	case "abort":
		C.die()
	case "back":
		C.back()
	}
}
