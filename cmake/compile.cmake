# How pipc's own code is compiled: the flags stand here and nowhere else.

set(PIPC_WARNINGS)
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  set(PIPC_WARNINGS -Wall -Wextra)
  if(PIPC_WERROR)
    list(APPEND PIPC_WARNINGS -Werror)
  endif()
endif()
set(PIPC_SANITIZE_FLAGS)
if(PIPC_SANITIZE)
  set(PIPC_SANITIZE_FLAGS -fsanitize=${PIPC_SANITIZE} -fno-omit-frame-pointer)
  if(NOT PIPC_SANITIZE MATCHES "thread")
    list(APPEND PIPC_SANITIZE_FLAGS -fno-sanitize-recover=all)
  endif()
endif()

# Everything of ours: C11, warnings, sanitizers.
function(pipc_compile target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE=) # as in "#define _GNU_SOURCE"
  target_compile_options(${target} PRIVATE ${PIPC_WARNINGS} ${PIPC_SANITIZE_FLAGS})
  target_link_options(${target} PRIVATE ${PIPC_SANITIZE_FLAGS})
endfunction()

# The library, in whatever combination of core and backend: only what PIPC_API marks is visible.
function(pipc_library target)
  pipc_compile(${target})
  set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE ${PIPC_SYSTEM_LIBRARIES})
endfunction()

# A program that uses a library made by pipc_library().
function(pipc_program target library)
  pipc_compile(${target})
  target_link_libraries(${target} PRIVATE ${library})
endfunction()
