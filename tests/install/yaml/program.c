/* SPDX-License-Identifier: MIT */
#include <stdio.h>

int scalars_in(const char* text);

int main(void) {
  int reads =
      scalars_in("limits: [10/s, {name: burst}]\n") == 4 && scalars_in("{\"json\": [1, 2]}") == 3;
  printf("%s\n",
         reads && scalars_in("limits: [10/s\n") == -1 ? "ready" : "libyaml misread a document");
  return 0;
}
