from django.db import models


class Tag(models.Model):
    name = models.SlugField(unique=True)

    def __str__(self):
        return self.name


class Note(models.Model):
    title = models.CharField(max_length=40)
    text = models.TextField(blank=True)
    written = models.DateTimeField(auto_now_add=True)
    tags = models.ManyToManyField(Tag, blank=True)

    class Meta:
        ordering = ["-written", "-pk"]

    def __str__(self):
        return self.title
