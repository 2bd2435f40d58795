// SPDX-License-Identifier: MIT
// What a limit without a name is called where it stands: the same for the same route, however its
// framework writes it, and never the same for two routes.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "http/http.h"

namespace tidegate {
namespace {

std::string at(const char* route, const char* method = "GET", const char* mount = "") {
  return place_name(mount, method, route);
}

TEST(Place, IsReadable) {
  EXPECT_EQ(at("/login", "POST"), "POST.login");
  EXPECT_EQ(at("/items/{id}", "GET", "/v1"), "v1.GET.items-id");
  EXPECT_EQ(at("/", "GET"), "GET");
  EXPECT_EQ(at("", "", ""), "everything");
  EXPECT_EQ(at("", "", "/v1/"), "v1");
  EXPECT_EQ(place_name("/v1", "GET", std::nullopt), "v1.GET.unmatched");
  EXPECT_EQ(at("/chat-completions"), "GET.chat--completions");
  EXPECT_EQ(at("/a", "HEAD"), "GET.a");
  EXPECT_EQ(at("/a", "MADEUP"), "OTHER.a");
}

TEST(Place, IsOneForOneRouteInEveryFramework) {
  for (const char* route : {"/items/{id}", "/items/:id", "/items/<id>", "items/{id}/"})
    EXPECT_EQ(at(route), "GET.items-id") << route;
  for (const char* route : {"/files/{rest...}", "/files/{*rest}", "/files/*rest"})
    EXPECT_EQ(at(route), "GET.files-rest") << route;
  EXPECT_EQ(at("/{$}"), "GET");
}

TEST(Place, IsAnotherForAnotherRoute) {
  const char* const routes[] = {"/items/{id}",    "/items/id",       "/items-id",   "/items--id",
                                "/items",         "/items.id",       "/{items}/id", "/items/{id}/a",
                                "/items/{id-a}",  "/items/{id:int}", "/items/*",    "/item s",
                                "/items/\xc3\xa9"};
  std::set<std::string> names;
  for (const char* route : routes) names.insert(at(route));
  EXPECT_EQ(names.size(), std::size(routes));
}

TEST(Place, IsALimitersNameWhateverStandsThere) {
  const std::string longest(5'000, 'a');
  for (const std::string& route : {longest, std::string("/\xff\xfe"), std::string("/ \n\"")}) {
    const std::string name = place_name("", "GET", route);
    EXPECT_LE(name.size(), 64u);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_.-"),
              name.npos);
  }
  EXPECT_NE(at((longest + "b").c_str()), at((longest + "c").c_str()));
}

}  // namespace
}  // namespace tidegate
