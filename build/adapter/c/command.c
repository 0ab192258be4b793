#include "wasi1.h"

__attribute__((import_module("__main_module__"), import_name("_start"))) void main_start(void);

// The run function of wasi:cli/run. A program that fails calls proc_exit.
__attribute__((export_name("wasi:cli/run@0.2.0#run"))) u32 run(void)
{
	main_start();
	return 0;
}
