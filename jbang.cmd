@echo off
rem Runs the JBang on the PATH, and says how to get it where there is none.
setlocal
for %%E in (cmd exe bat) do for /f "delims=" %%J in ('where jbang.%%E 2^>nul') do (
    if /i not "%%~fJ"=="%~f0" (
        endlocal
        "%%~fJ" %*
    )
)
>&2 echo JBang is not on the PATH: install it, see https://www.jbang.dev/download
exit /b 2
