# Compiler flags of every target, carried by the interface library brink_options.
add_library(brink_options INTERFACE)
target_compile_definitions(brink_options INTERFACE _GNU_SOURCE BRINK_VERSION="${PROJECT_VERSION}")
target_compile_options(brink_options INTERFACE
  -include ${CMAKE_SOURCE_DIR}/include/base/banned.h
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
  -Wno-unused-parameter -Werror -fno-common -fno-strict-aliasing)

if(BRINK_SANITIZE)
  target_compile_options(brink_options INTERFACE
    -fsanitize=${BRINK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(brink_options INTERFACE -fsanitize=${BRINK_SANITIZE})
endif()

if(CMAKE_C_COMPILER_ID STREQUAL "Clang") # a struct that ends in an array, inside another: GNU C has it;
  # libseccomp's macros leave a field out, at which GCC does not mind
  target_compile_options(brink_options INTERFACE -Wno-gnu-variable-sized-type-not-at-end
    -Wno-missing-field-initializers)
endif()

if(BRINK_FUZZ) # the fuzzer steers by the coverage of all code, not only of its own file
  target_compile_options(brink_options INTERFACE -O1 -fsanitize=fuzzer-no-link)
  target_link_options(brink_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(BRINK_COVERAGE)
  target_compile_options(brink_options INTERFACE --coverage)
  target_link_options(brink_options INTERFACE --coverage)
endif()

if(BRINK_HARDEN)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  set(CMAKE_C_FLAGS_RELEASE "-O2 -g -fno-plt -fno-semantic-interposition")
  target_compile_definitions(brink_options INTERFACE _FORTIFY_SOURCE=2)
  target_compile_options(brink_options INTERFACE -fstack-protector-strong -fstack-clash-protection -fPIE)
  target_link_options(brink_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
