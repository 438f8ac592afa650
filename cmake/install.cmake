# Install rules: headers, library, the program, CMake package, pkg-config file. What is installed names no absolute
# path, so that the whole prefix may be moved afterwards.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pipc)

install(DIRECTORY include/pipc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS pipc EXPORT pipcTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(PIPC_BUILD_TOOL)
  if(BUILD_SHARED_LIBS) # found from where the program stands, wherever the prefix is moved to
    file(RELATIVE_PATH up /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(pipc_tool PROPERTIES INSTALL_RPATH "$ORIGIN/${up}")
  endif()
  install(TARGETS pipc_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(EXPORT pipcTargets NAMESPACE pipc:: DESTINATION ${package_dir})
configure_package_config_file(cmake/pipcConfig.cmake.in ${PROJECT_BINARY_DIR}/pipcConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pipcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/pipcConfig.cmake ${PROJECT_BINARY_DIR}/pipcConfigVersion.cmake
  DESTINATION ${package_dir})

# pkg-config: the prefix is found from the place of the file itself.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
foreach(part LIBDIR INCLUDEDIR)
  set(pc_${part} "\${prefix}/${CMAKE_INSTALL_${part}}")
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${part}})
    set(pc_${part} ${CMAKE_INSTALL_${part}})
  endif()
endforeach()
string(REPLACE ";" " " pc_private "${PIPC_SYSTEM_LIBRARIES}")
if(NOT BUILD_SHARED_LIBS) # only the archive is there: whoever links it needs what it needs
  set(pc_public "${pc_private}")
  set(pc_private "")
endif()
configure_file(cmake/pipc.pc.in ${PROJECT_BINARY_DIR}/pipc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pipc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
